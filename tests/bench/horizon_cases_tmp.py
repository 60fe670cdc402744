import random
import numpy as np
from vpp_gateway.domain.horizon import *
from vpp_gateway.domain.plan import MoveLeg
def peer_case(seed,steps=48):
    rng=random.Random(seed); dt=120.0
    t=np.arange(steps)*dt
    sites=("s0","s1","s2"); stores=[];works=[]
    for s in sites:
        for i in range(4):
            w=rng.uniform(200e3,500e3); wh=w*rng.uniform(.4,1.)
            stores.append(Store(id=f"{s}b{i}",site=s,tier="battery",discharge_max_w=w,charge_max_w=w,stored_wh=wh*rng.uniform(.3,.8),stored_min_wh=.1*wh,stored_max_wh=.95*wh,stored_wanted_wh=0.,discharge_efficiency=.95,charge_efficiency=.95))
        for i in range(6):
            w=rng.uniform(50e3,300e3)
            works.append(Work(offer=f"{s}w{i}",tier="workload",legs=(MoveLeg(site=s,regulation_w=w),),cost=rng.uniform(.5,2),energy_wh=w*rng.uniform(.2,.8)))
    tot=sum(s.discharge_max_w for s in stores)
    a=Asked(instruction="i",sites=sites,regulation_w=tuple((rng.uniform(.2,.7)*tot*np.where(t<3600,1.,.1)*(1+.2*np.sin(t/700))).tolist()))
    con=tuple(Connection(site=s,load_w=tuple((2e6+1e5*np.sin(t/900)).tolist()),pv_w=tuple(np.maximum(0,5e5*np.sin(t/2000)).tolist()),import_max_w=(3e6,)*steps,export_max_w=(0.,)*steps) for s in sites)
    return HorizonProblem(id=f"p{seed}",at=0.,lengths_s=(dt,)*steps,tiers=("battery","workload"),asked=(a,),stores=tuple(stores),works=tuple(works),connections=con,prices=Prices(stored=0.,surplus=0.,ending=0.,owed=0.))
